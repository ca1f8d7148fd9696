"""automio: a typed, GraphQL-first data layer for tables behind Hasura, scoped to one organization."""
