"""The newest revision of the schema. A test holds it against the migrations."""

HEAD = "0009"
