//! Rate limits: exact, atomic over several limits, bounded in memory.
