"""Tables, each once: Tesla's words, what cars report, and what they are fitted with."""
