"""What customers are told besides documents: reminders, announcements of debits, notices; by e-mail, SMS and letter."""
