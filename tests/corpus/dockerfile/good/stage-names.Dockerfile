FROM a AS scratch
FROM b AS x
FROM c AS X
