-- Rows of three organizations. Organization 2 owns the ids that the documentation's examples use.
-- Several organizations use the same marketplace ids on purpose: a forgotten filter shows at once.

INSERT INTO app_130_orders (id, organization_id, "orderId", "buyerLogin", status, delivered, total, created_at) VALUES
    ('00000000-0000-4000-8000-000000000101', 1, 'eba6bc90-faab-11f0-96f9-c518c5ba21fb', 'org1-buyer', 'paid', true, 11.00, '2026-01-01T08:00:00Z'),
    ('00000000-0000-4000-8000-000000000102', 1, 'order-1-b', 'org1-other', 'new', false, 12.50, '2026-01-02T08:00:00Z'),
    ('c9a1d25a-fcf3-4950-a660-2f5b04a25320', 2, 'eba6bc90-faab-11f0-96f9-c518c5ba21fb', 'anna', 'paid', false, 120.00, '2026-01-03T08:00:00Z'),
    ('00000000-0000-4000-8000-000000000202', 2, 'order-2-b', 'bartek', 'new', false, 80.25, '2026-01-04T08:00:00Z'),
    ('00000000-0000-4000-8000-000000000203', 2, 'order-2-c', NULL, 'sent', true, 9.99, '2026-01-05T08:00:00Z'),
    ('00000000-0000-4000-8000-000000000301', 3, 'order-3-a', 'org3-buyer', 'new', false, 300.00, '2026-01-06T08:00:00Z')
ON CONFLICT DO NOTHING;

INSERT INTO app_130_messages (id, organization_id, order_id, "messageContent", sent_at) VALUES
    ('00000000-0000-4000-8000-000000001101', 1, '00000000-0000-4000-8000-000000000101', 'a message of organization 1', '2026-01-01T09:00:00Z'),
    ('00000000-0000-4000-8000-000000001201', 2, 'c9a1d25a-fcf3-4950-a660-2f5b04a25320', 'Where is my parcel?', '2026-01-03T09:00:00Z'),
    ('00000000-0000-4000-8000-000000001202', 2, 'c9a1d25a-fcf3-4950-a660-2f5b04a25320', 'It left the warehouse today.', '2026-01-03T10:00:00Z'),
    ('00000000-0000-4000-8000-000000001203', 2, '00000000-0000-4000-8000-000000000202', 'Please add an invoice.', '2026-01-04T09:00:00Z'),
    ('00000000-0000-4000-8000-000000001301', 3, '00000000-0000-4000-8000-000000000301', 'a message of organization 3', '2026-01-06T09:00:00Z')
ON CONFLICT DO NOTHING;

INSERT INTO app_130_billing_entries (organization_id, "allegroId", "occurredAt", type, value, balance, order_id) VALUES
    (1, 'bill-1', '2026-01-01T10:00:00Z', 'fee', -1.10, 98.90, '00000000-0000-4000-8000-000000000101'),
    (2, 'bill-1', '2026-01-03T10:00:00Z', 'fee', -3.50, 96.50, 'c9a1d25a-fcf3-4950-a660-2f5b04a25320'),
    (2, 'bill-2', '2026-01-04T10:00:00Z', 'refund', 5.00, 101.50, NULL),
    (3, 'bill-9', '2026-01-09T10:00:00Z', 'fee', -9.00, 0.00, '00000000-0000-4000-8000-000000000301')
ON CONFLICT DO NOTHING;
