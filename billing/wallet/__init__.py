"""Prepaid: wallets, top-ups, vouchers, and services whose periods are bought on their day."""
