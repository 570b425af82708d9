# escape=/
FROM a
RNU
