FROM a
RUN apt-get install \
    # a comment
    one \
# another

    	
    two
RUN echo "# no comment" # nor this
