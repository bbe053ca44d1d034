from arx_wrapper.cli.main import main

main()
