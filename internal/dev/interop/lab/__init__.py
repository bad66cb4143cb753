"""What the bridge's proofs are made of: processes of the product and of homeservers, and clients of other authors.

Nothing here reads the product's database or links its code: what people see is what counts.
"""
