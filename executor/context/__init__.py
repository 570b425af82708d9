"""Where the files of a build come from: directories, archives, git, http."""
