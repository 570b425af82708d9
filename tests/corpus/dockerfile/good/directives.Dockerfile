# syntax=docker/dockerfile:1.20 trailing
#  ESCAPE =  `  
# check=skip=all;error=true
FROM windows
RUN dir `
  c:\
COPY a` b c:\`d\
