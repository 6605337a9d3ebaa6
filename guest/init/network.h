#pragma once

#include "init/status.h"

namespace init {

// Turns the loopback on, and gives the first card the MTU that the host asks for in nearly every VM, so that name_cards finds it done.
Status prepare_cards();

// Gives the cards that the host names by MAC address their names and MTU; takes the others, which lead nowhere, away.
Status name_cards(const google::protobuf::RepeatedPtrField<agent::Card>& cards);

// Configures one card: MAC address, addresses, up, routes.
Status configure_card(const agent::Network& network);

// What all cards have carried.
agent::Traffic count_traffic();

}  // namespace init
