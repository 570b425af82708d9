FROM
FROM a b
FROM a OR b
FROM a AS 1st
FROM a AS b/c
FROM --plattform=x a
FROM --platform a
