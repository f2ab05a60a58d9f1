"""The owner's history from before TeslaFi: files that were exported elsewhere, read into the journal's samples."""
