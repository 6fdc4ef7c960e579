"""E-mail: each final document is sent once, by a job, through SMTP, and what became of it is kept."""
