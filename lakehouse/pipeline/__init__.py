"""The steps in their order, and what is said about them: pending, counted, maintained, run by an orchestrator."""
