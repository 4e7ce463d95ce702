"""Pictures from the web: which servers may be asked, and fetching one picture from them."""
