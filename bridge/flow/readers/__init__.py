"""Reading Listrak, one resource at a time, from where its checkpoint is."""
