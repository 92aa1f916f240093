package policy

// titles are the clauses in the rule book's order, then those of the neighbouring systems.
var titles = [...]struct {
	id     Clause
	parts  int
	en, zh string
}{
	{"HCA-2.1", 0, "Mobile devices run iOS or Android", "行動裝置限 iOS 或 Android"},
	{"HCA-2.2", 0, "A mobile certificate is on one of three carriers", "行動憑證安裝於三類載具之一"},
	{"HCA-2.3", 0, "Medical institutions, their code and licence", "醫事機構及其代碼與開業狀態"},
	{"HCA-2.4", 0, "The service window and its qualification", "行動憑證管理服務窗口及其資格"},
	{"HCA-2.5", 0, "The management system is this software", "行動憑證服務管理系統即本軟體"},
	{"HCA-2.6", 0, "Mobile apps the window reviewed, with their scope", "經服務窗口認可之應用程式及其應用範圍"},
	{"HCA-2.7", 0, "Kinds of one-time password", "一次性密碼之種類"},

	{"HCA-3.1", 0, "Qualified window, reported dedicated certificate", "服務窗口資格與報備之專屬憑證"},
	{"HCA-3.2", 0, "Contractors may build and run it, the window answers for it", "委外建置管理，權責仍屬服務窗口"},
	{"HCA-3.3", 0, "Requests carry proof of consent and the dedicated signature", "同意證明與專屬憑證簽章之申請訊息"},
	{"HCA-3.4", 0, "Holders are told at once", "立即通知憑證持有人"},
	{"HCA-3.5", 0, "Installed on allowed carriers only", "僅可安裝於所定載具"},
	{"HCA-3.6", 0, "Regular inventory, and revocation of what must go", "定期清查並逕行廢止"},
	{"HCA-3.7", 0, "Institutions without a window: agreement, accounts stopped at once", "未設窗口機構之書面同意與立即停用帳號"},
	{"HCA-3.8", 0, "A suspended window enrols nobody", "服務窗口資格遭暫停"},

	{"HCA-4.1", 0, "Devices are registered with a unique code and their users", "註冊裝置唯一代碼及使用者身分"},
	{"HCA-4.2", 0, "Changed users of a shared device are recorded", "共用裝置使用者異動時更新註冊"},

	{"HCA-5.1.1", 0, "The applicant's own IC card signs the application", "本人醫事人員憑證 IC 卡簽章申辦"},
	{"HCA-5.1.2", 0, "The scope of use is one the window approved", "使用範圍經服務窗口同意"},
	{"HCA-5.1.3", 0, "The applicant is a user of the device", "申請者與裝置使用者相符"},
	{"HCA-5.2.1", 0, "The holder's own IC card signs the revocation", "本人醫事人員憑證 IC 卡簽章廢止"},
	{"HCA-5.2.2", 3, "Revocation without consent, on named grounds only", "未徵同意之廢止僅限所列情形"},

	{"HCA-6.0", 0, "One of three key designs, and no key before the application", "三種金鑰設計，申辦前不得預產金鑰"},
	{"HCA-6.1", 0, "Keys made by the app: no backup, no export, protected", "應用程式產製金鑰之保護"},
	{"HCA-6.2", 0, "Keys made by a listed secure chip of the designated device", "安全晶片產製金鑰"},
	{"HCA-6.3.1", 0, "The HSM is FIPS 140-2 level 3 or better", "硬體安全模組之認證等級"},
	{"HCA-6.3.2", 0, "Two or more independent units make the master key", "主金鑰由二個以上單位分持"},
	{"HCA-6.3.3", 0, "Few places and few managers for the master key", "減少主金鑰儲存地點與管理人員"},
	{"HCA-6.3.4", 0, "The master key is replaced in time", "主金鑰替換"},
	{"HCA-6.3.5", 0, "Keys never leave, and serve their device and holder alone", "私密金鑰不可匯出且限指定裝置及持有人"},
	{"HCA-6.3.6", 0, "Mutually authenticated, encrypted channel to the HSM side", "點對點認證與加密之安全通道"},
	{"HCA-6.3.7", 0, "HSM keys inside the private network only", "僅限機構內部私域網路"},

	{"HCA-7.1", 0, "Certificates stay on allowed carriers", "行動憑證僅限所定載具"},
	{"HCA-7.2", 0, "No use of a key before issue, after expiry or revocation", "未簽發、過期或廢止時不得使用金鑰"},
	{"HCA-7.3", 0, "Certificate user, device user and applicant are one person", "憑證、裝置使用者與申請者身分相符"},
	{"HCA-7.4", 0, "Devices may be shared, certificates may not", "裝置可共用，憑證不可共用"},
	{"HCA-7.5", 0, "Five valid certificates a person at most", "單一醫事人員至多五張有效行動憑證"},

	{"HCA-8.1.1", 0, "Connection control; ten minutes without use end the session", "連線控制與閒置十分鐘中斷"},
	{"HCA-8.1.2", 0, "Card insertion and removal are checked", "拔插卡檢核"},
	{"HCA-8.1.3", 0, "Source and correctness; what is seen is what is received", "訊息來源、正確性與指示一致性"},
	{"HCA-8.1.4", 0, "One-time values or times against replay", "一次性亂數或時間戳記防重送"},
	{"HCA-8.1.5", 0, "Personal data masked, access controlled and watched", "個人資料隱碼與存取監控"},
	{"HCA-8.1.6", 0, "No unauthorised person or program", "限制非授權人員或程式"},

	{"HCA-8.2.1", 0, "Apps have the least privilege", "應用程式最小權限"},
	{"HCA-8.2.2", 0, "Name, version and download place of the app are told", "提供應用程式名稱、版本與下載位置"},
	{"HCA-8.2.3", 0, "Risk notice at every start", "啟動時提示風險"},
	{"HCA-8.2.4", 0, "Antivirus advice at installation or first start", "建議安裝防毒軟體"},
	{"HCA-8.2.5", 0, "Trusted certificate list, full chain and validity", "可信任憑證清單與憑證鏈驗證"},
	{"HCA-8.2.6", 6, "Passwords", "固定密碼"},
	{"HCA-8.2.7", 4, "One-time passwords", "一次性密碼"},
	{"HCA-8.2.8", 2, "Biometrics", "生物特徵"},
	{"HCA-9", 0, "Limits can be tightened; personal data and signature acts apply", "標準得提高；適用個資法與電子簽章法"},

	{"SAM-1", 0, "Institution modules: apply on line, approved on the hour, download", "雲端安全模組線上申請、核准與下載"},
	{"SAM-2", 0, "The module stays in the centre; module, card and device together", "模組存於機房，與卡片及裝置比對"},
	{"SAM-3", 0, "Old cards and new modules side by side, with help", "實體卡與雲端模組並行及說明"},
	{"NET-1", 0, "Network zones and what may be done from each", "連線方式與各網段可用功能"},
	{"NET-2", 0, "VPN gateways are inventoried and patched under contract", "VPN 設備盤點與更新維護契約"},
	{"CRT-1", 0, "Terminal certificates: notice letter and pick-up within 180 days", "終端憑證通知函與 180 日內領取"},
	{"CRT-2", 0, "Thumbprint and issuer checked, file backed up and deleted", "核對指紋與簽發者、備份與刪除"},
	{"SSP-1", 0, "The holder's portal", "持有人入口網"},
	{"SSP-2", 0, "Single sign-on with linked identifiers only", "單一登入與僅存連結識別碼"},
	{"SSP-3", 0, "Discovery of a person's services, with consent", "經同意之服務探索"},
	{"SSP-4", 0, "Registration authority and card life-cycle events", "註冊中心與卡片生命週期事件"},
}
