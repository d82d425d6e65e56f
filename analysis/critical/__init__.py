"""The critical value: curves of top KL over rho in; where they leave zero, how surely, and a verdict in words out.

Arrays and frames in, frames out, never an axis. Imports frames and words; figures and reports may import it.
"""
