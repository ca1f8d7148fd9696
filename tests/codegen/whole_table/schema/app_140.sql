CREATE TABLE IF NOT EXISTS app_140_orders (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id integer NOT NULL,
    "orderId" text NOT NULL,
    total numeric(12, 2),
    pieces integer NOT NULL DEFAULT 0,
    details jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "uq_app_140_orders_id_org" UNIQUE (id, organization_id),
    CONSTRAINT "uq_app_140_orders_orderId_org" UNIQUE ("orderId", organization_id)
);
CREATE TABLE IF NOT EXISTS app_140_messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    organization_id integer NOT NULL,
    order_id uuid NOT NULL,
    content text NOT NULL,
    CONSTRAINT "fk_app_140_messages_order" FOREIGN KEY (order_id, organization_id)
        REFERENCES app_140_orders (id, organization_id)
);
