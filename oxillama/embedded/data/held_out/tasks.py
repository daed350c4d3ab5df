"""Tasks of two calls, written by hand: for each the tools of `calls.TOOLS` or of TOOLS, the request, the calls with what
each gives, and what the answer must contain."""

from __future__ import annotations

from typing import Any

TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "plus": ("Sum of two addends.", {"addend_one": "number", "addend_two": "number"}),
    "halve_it": ("Half of an amount of money.", {"entire_sum": "number"}),
    "altitude_of": ("Altitude of a summit in metres.", {"summit": "string"}),
    "telephone_of": ("Telephone of a colleague.", {"colleague": "string"}),
    "parking_spot": ("Find a free parking spot.", {"parking_area": "string"}),
    "pay_parking": ("Pay for a parking spot.", {"spot_label": "string"}),
    "librarian": ("Find the shelf mark of a book.", {"sought_book": "string"}),
    "fetch_from_shelf": ("Fetch what stands at a shelf mark.", {"shelf_mark": "string"}),
    "whoami": ("Login of the present user.", {}),
    "quota_of": ("Disk quota of a login.", {"login": "string"}),
}
Call = tuple[str, dict[str, Any], str]

TASKS: tuple[tuple[tuple[str, ...], str, tuple[Call, ...], tuple[str, ...]], ...] = (
    (("hourly_forecast",), "What is the weather in Vaduz and Bregenz?", (("hourly_forecast", {"town_name": "Vaduz"}, "hail"), ("hourly_forecast", {"town_name": "Bregenz"}, "fog")), ("hail", "fog")),
    (("stock_quote", "census"), "Compare the quotes of NVDA and INTC.", (("stock_quote", {"ticker_code": "NVDA"}, "912.5"), ("stock_quote", {"ticker_code": "INTC"}, "33.1")), ("912.5", "33.1")),
    (("capital_of",), "Tell me the capitals of Benin and Togo", (("capital_of", {"nation": "Benin"}, "Porto-Novo"), ("capital_of", {"nation": "Togo"}, "Lome")), ("Porto-Novo", "Lome")),
    (("census", "capital_of"), "Find the capital of Bhutan, then its number of inhabitants.", (("capital_of", {"nation": "Bhutan"}, "Thimphu"), ("census", {"metropolis": "Thimphu"}, "114551")), ("114551",)),
    (("altitude_of", "plus"), "Get the altitude of Rysy and add 20 to it.", (("altitude_of", {"summit": "Rysy"}, "2501"), ("plus", {"addend_one": 2501, "addend_two": 20}, "2521")), ("2521",)),
    (("telephone_of", "text_message"), "Find the telephone of Agnieszka and send it an SMS saying 'come home'.", (("telephone_of", {"colleague": "Agnieszka"}, "0660-7741"), ("text_message", {"phone_number": "0660-7741", "sms_text": "come home"}, "ok")), ()),
    (("parking_spot", "pay_parking"), "Find a parking spot in Old Harbour and then pay for it.", (("parking_spot", {"parking_area": "Old Harbour"}, "H-14"), ("pay_parking", {"spot_label": "H-14"}, "ok")), ()),
    (("librarian", "fetch_from_shelf"), "Find the shelf mark of 'Dune' and fetch it.", (("librarian", {"sought_book": "Dune"}, "SF-212"), ("fetch_from_shelf", {"shelf_mark": "SF-212"}, "ok")), ()),
    (("halve_it", "stock_quote"), "Get the quote of SAP and halve it.", (("stock_quote", {"ticker_code": "SAP"}, "180"), ("halve_it", {"entire_sum": 180}, "90")), ("90",)),
    (("plus", "halve_it"), "Add 40 and 2, then halve the result.", (("plus", {"addend_one": 40, "addend_two": 2}, "42"), ("halve_it", {"entire_sum": 42}, "21")), ("21",)),
    (("dim_lamp", "room_thermostat"), "Dim lamp hall-2 to 30 percent and set the attic to 18 degrees.", (("dim_lamp", {"lamp_label": "hall-2", "brightness_percent": 30}, "ok"), ("room_thermostat", {"room_name": "attic", "target_celsius": 18}, "ok")), ()),
    (("unlock_door", "tune_radio"), "Unlock door 7 and then tune the radio to Oe1.", (("unlock_door", {"which_door": "7"}, "ok"), ("tune_radio", {"radio_station": "Oe1"}, "ok")), ()),
    (("flight_status", "hail_taxi"), "Status of flight BA 702? Also hail a taxi for 1 from Terminal 5 to Camden.", (("flight_status", {"flight_number": "BA 702"}, "delayed"), ("hail_taxi", {"pickup_spot": "Terminal 5", "dropoff_spot": "Camden", "riders": 1}, "ok")), ("delayed",)),
    (("restart_daemon", "ping_host"), "Restart cups on print-9, then ping print-9.", (("restart_daemon", {"daemon": "cups", "hostname": "print-9"}, "ok"), ("ping_host", {"host_address": "print-9"}, "12 ms")), ("12 ms",)),
    (("log_jog", "log_calories"), "Log a jog of 3 kilometres in 20 minutes and log soup with 210 calories", (("log_jog", {"kilometres": 3, "jog_minutes": 20}, "ok"), ("log_calories", {"eaten": "soup", "calories": 210}, "ok")), ()),
    (("tide_table", "hourly_forecast"), "Tides at Cuxhaven and the weather in Bremen, please.", (("tide_table", {"harbour_town": "Cuxhaven"}, "low at 16:10"), ("hourly_forecast", {"town_name": "Bremen"}, "drizzle")), ("16:10", "drizzle")),
    (("altitude_of",), "Which altitudes have Triglav and Grossglockner?", (("altitude_of", {"summit": "Triglav"}, "2864"), ("altitude_of", {"summit": "Grossglockner"}, "3798")), ("2864", "3798")),
    (("telephone_of", "new_contact"), "Get the telephone of Rui, then add Rui with that telephone to my contacts.", (("telephone_of", {"colleague": "Rui"}, "555-0101"), ("new_contact", {"contact_name": "Rui", "telephone": "555-0101"}, "ok")), ()),
    (("whoami", "quota_of"), "Find my login and then check its disk quota.", (("whoami", {}, "hkoller"), ("quota_of", {"login": "hkoller"}, "20 GB")), ("20 GB",)),
    (("trace_order", "end_subscription"), "Where is order 8-812? Then end subscription P-5 with effective immediately.", (("trace_order", {"order_number": "8-812"}, "in Linz"), ("end_subscription", {"subscription_code": "P-5", "effective_immediately": True}, "ok")), ("in Linz",)),
)
