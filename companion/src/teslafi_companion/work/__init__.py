"""What runs beside the requests, watched over by the supervisor."""
