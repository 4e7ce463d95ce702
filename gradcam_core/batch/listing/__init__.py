"""Where the pictures of a batch are: folders, patterns, lists of paths, ZIP and Parquet files."""
