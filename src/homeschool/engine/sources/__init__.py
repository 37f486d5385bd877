"""Where rows come from: files, folders, datasets, runs, repositories, packages and standard input."""
