# a comment ends detection
# escape=`
FROM a
RUN x \
 y
