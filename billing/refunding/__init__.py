"""What happens to a payment after it came in.

`refunds.refund`, `sent`, `settled`, `failed`; `chargebacks.chargeback`, `chargeback_reversed`; `byhand.allocate`,
`unallocate`, `set_rule`; `moving.move`, `void`; `receipts.receipt`, `drawer.drawers`, `listing.payments_of`.
All take the caller's transaction and lock the payment's account first.
"""
