"""Texts and the JSON that stands in them, written by hand: (text, what each field may be, the object)."""

from __future__ import annotations

from typing import Any

DOCUMENTS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    ("Ignaz is 41 years old.", {"first_name": "string", "age_years": "integer"}, {"first_name": "Ignaz", "age_years": 41}),
    ("Our neighbour Wilhelmina, aged 77, lives in Steyr.", {"neighbour": "string", "aged": "integer", "lives": "string"}, {"neighbour": "Wilhelmina", "aged": 77, "lives": "Steyr"}),
    ("Pavel works for Skoda in Brno.", {"worker": "string", "works_for": "string"}, {"worker": "Pavel", "works_for": "Skoda"}),
    ("The kettle weighs 3 kg and costs 49.9 euros.", {"appliance": "string", "kilos": "number", "euros": "number"}, {"appliance": "kettle", "kilos": 3, "euros": 49.9}),
    ("Choir practice is on Tuesday at 19:30 in the crypt.", {"weekday": "string", "begins": "string"}, {"weekday": "Tuesday", "begins": "19:30"}),
    ("Flight OS 451 leaves Vienna for Tallinn.", {"flight_no": "string", "leaves_from": "string", "bound_for": "string"}, {"flight_no": "OS 451", "leaves_from": "Vienna", "bound_for": "Tallinn"}),
    ("I ordered four pizzas.", {"dish_ordered": "string", "how_much": "integer"}, {"dish_ordered": "pizzas", "how_much": 4}),
    ("Write to lena@post.example about it.", {"write_to": "string"}, {"write_to": "lena@post.example"}),
    ("Milan, Ostrava and Pecs are on the route.", {"stops": "strings"}, {"stops": ["Milan", "Ostrava", "Pecs"]}),
    ("What a wonderful hotel!", {"opinion_is": ["positive", "negative"]}, {"opinion_is": "positive"}),
    ("The soup was cold and awful.", {"opinion_is": ["positive", "negative"]}, {"opinion_is": "negative"}),
    ("Invoice 2041 over 310 euros was sent to Huber AG.", {"invoice_no": "string", "euros": "number", "sent_to": "string"}, {"invoice_no": "2041", "euros": 310, "sent_to": "Huber AG"}),
    ("Dr. Tamas Nagy was born on 4 March 1961.", {"doctor": "string", "born_on": "string"}, {"doctor": "Tamas Nagy", "born_on": "4 March 1961"}),
    ("The lake is 63 metres deep and 11 km long.", {"deep_metres": "integer", "long_km": "integer"}, {"deep_metres": 63, "long_km": 11}),
    ("Greta speaks Estonian and likes borscht.", {"speaker_name": "string", "tongue": "string", "likes_to_eat": "string"}, {"speaker_name": "Greta", "tongue": "Estonian", "likes_to_eat": "borscht"}),
    ("Room 214 is booked for 6 guests.", {"room_no": "string", "persons": "integer"}, {"room_no": "214", "persons": 6}),
    ("Train RJ 68 departs at 07:12 from platform 9.", {"train_no": "string", "departs_at": "string", "platform_no": "integer"}, {"train_no": "RJ 68", "departs_at": "07:12", "platform_no": 9}),
    ("The red scooter belongs to Ilse.", {"vehicle_type": "string", "paintwork": "string", "belongs_to": "string"}, {"vehicle_type": "scooter", "paintwork": "red", "belongs_to": "Ilse"}),
    ("Our host in Nantes was Monsieur Blanc.", {"host_name": "string", "host_town": "string"}, {"host_name": "Monsieur Blanc", "host_town": "Nantes"}),
    ("Zofia is the manager of Adam.", {"manager_name": "string", "managed": "string"}, {"manager_name": "Zofia", "managed": "Adam"}),
)
