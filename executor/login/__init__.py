"""The commands `executor login` and `executor logout`: credentials for registries, where docker keeps them."""
