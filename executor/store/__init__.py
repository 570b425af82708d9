"""The session's content store: blobs by digest, unpacked layers, working roots."""
