"""What a plan comes with: add-ons, rentals and fees, promotions and bundles, contracts, minimum commitments."""
