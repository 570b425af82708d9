#!/usr/bin/env build
# escape=`
FROM a
RUN x \
 y
