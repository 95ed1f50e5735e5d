# METADATA
# title: De tabel – The table
# description: |
#   NL: Alle rijen van alle wetten die voor deze rol, dit doel en dit veld gelden.
#   EN: All rows of all acts that hold for this role, this purpose and this field.
# schemas:
#   - input: schema.question
#   - data.schakel.catalog: schema.catalog
#   - data.schakel.settings: schema.settings
package schakel.table

import data.schakel.law.ggz
import data.schakel.law.incasso
import data.schakel.law.jeugd
import data.schakel.law.leerplicht
import data.schakel.law.opvraag
import data.schakel.law.participatie
import data.schakel.law.schuldhulp
import data.schakel.law.wgs
import data.schakel.law.wmo

# METADATA
# title: Rijen uit wgs.rego – Rows of wgs.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie wgs.rego
rows contains row if some row in wgs.rows

# METADATA
# title: Rijen uit schuldhulp.rego – Rows of schuldhulp.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie schuldhulp.rego
rows contains row if some row in schuldhulp.rows

# METADATA
# title: Rijen uit participatie.rego – Rows of participatie.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie participatie.rego
rows contains row if some row in participatie.rows

# METADATA
# title: Rijen uit wmo.rego – Rows of wmo.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie wmo.rego
rows contains row if some row in wmo.rows

# METADATA
# title: Rijen uit jeugd.rego – Rows of jeugd.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie jeugd.rego
rows contains row if some row in jeugd.rows

# METADATA
# title: Rijen uit leerplicht.rego – Rows of leerplicht.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie leerplicht.rego
rows contains row if some row in leerplicht.rows

# METADATA
# title: Rijen uit ggz.rego – Rows of ggz.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie ggz.rego
rows contains row if some row in ggz.rows

# METADATA
# title: Rijen uit incasso.rego – Rows of incasso.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie incasso.rego
rows contains row if some row in incasso.rows

# METADATA
# title: Rijen uit opvraag.rego – Rows of opvraag.rego
# description: |
#   NL: Een wet telt pas mee als zij hier staat.
#   EN: An act counts only when it stands here.
# custom:
#   basis: zie opvraag.rego
rows contains row if some row in opvraag.rows
