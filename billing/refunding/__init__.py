"""What happens to a payment after it came in: refunds, chargebacks, moves, voids, and allocations by hand."""
