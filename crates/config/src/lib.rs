//! From a YAML file to a compiled snapshot; nothing here runs per request.
