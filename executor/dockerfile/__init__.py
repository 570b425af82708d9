"""The Dockerfile frontend: text to typed stages. Pure: neither disk nor network."""
