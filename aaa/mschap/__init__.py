"""MS-CHAP: the password's proof and the keys that come with it (RFC 2433, 2759, 3079, 2548)."""
