"""Desired against observed: plan, status, and the one function that carries a plan out."""
