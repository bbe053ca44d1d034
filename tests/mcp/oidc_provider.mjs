// An authorization server for tests: client credentials, access tokens as JWTs for the resource that is asked for.
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const clients = JSON.parse(process.argv[3]).map((client_id) => ({
  client_id,
  client_secret: `${client_id}-secret-for-tests-only-0123456789`,
  grant_types: ['client_credentials'],
  redirect_uris: [],
  response_types: [],
}));
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients,
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'pagerduty',
        audience: resource,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 60,
      }),
    },
  },
});
provider.listen(port, '127.0.0.1', () => console.log('ready'));
