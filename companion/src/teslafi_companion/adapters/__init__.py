"""One folder for each provider outside: everything of it behind its port, settings, words and templates included."""
