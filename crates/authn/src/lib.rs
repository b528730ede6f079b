//! A credential becomes a principal: JWT, API key, anonymous.
