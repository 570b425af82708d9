FROM a
COPY	--link	--lnk	a	b
