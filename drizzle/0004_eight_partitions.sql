-- Eight partitions, where there were sixteen: with half of the consumers the NATS server spends a fifth less on a message.
-- Sixteen is a multiple of eight, so the remainder of the old partition is what the hash gives now. What a message of an
-- older subject would still bring is of an older generation, and comes to nobody: its row waits in the table. What has been
-- delivered is left as it is (most rows): a replay gives it its webhook's partition.
LOCK TABLE webhooks, endpoints, deliveries IN ACCESS EXCLUSIVE MODE;
--> statement-breakpoint
UPDATE webhooks SET partition = partition % 8 WHERE partition >= 8;
--> statement-breakpoint
-- Whoever is of the release before must not register webhooks that nobody delivers to.
ALTER TABLE webhooks ADD CHECK (partition BETWEEN 0 AND 7);
--> statement-breakpoint
UPDATE endpoints SET partition = partition % 8 WHERE partition >= 8;
--> statement-breakpoint
UPDATE deliveries SET partition = partition % 8, generation = generation + 1, stream_seq = NULL, stream_epoch = NULL
WHERE partition >= 8 AND status <> 'delivered';
