"""What tests lean on: a browser, a PostgreSQL, a merchant's receiver, a free port. None of it imports gerbang."""
