"""Floor 5: makes the network what trunk says, safely, and proves that it got there."""
