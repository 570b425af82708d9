"""The client side of the OCI distribution spec.

    RegistryClient (client) ── what to ask: manifests, blobs, uploads
      └─ Connection (connection) ── one registry: authorization, one repeat on 401, statuses to errors
           ├─ Authorizer (auth) ── challenges, tokens │ Keychain (credentials) ── who we are
           └─ Transport (transport) ── HTTP: scheme, TLS, proxies, redirects

`pull` and `push` build on the client what an image needs.
"""
