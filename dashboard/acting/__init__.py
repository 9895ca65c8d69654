"""Acting: what who signed in as administrator may have done, as the page asks for it."""
