"""Payment gateways: autopay, retries, webhooks. What a gateway says is facts; what is true is folded from them."""
