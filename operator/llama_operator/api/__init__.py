"""The LlamaModel API as typed data, and the vocabulary of its status. Pure: no IO, no clock."""
